/** What is done to a database, so that every kind of message and of value is sent. */
export interface Scenario {
  readonly name: string;
  /** Before the slot is made. */
  readonly tables: string;
  /** One transaction each. */
  readonly changes: readonly string[];
}

const toasted = (letter: string) => `repeat('${letter}', 2100)`;

export const scenarios: readonly Scenario[] = [
  {
    name: "each operation in one transaction",
    tables: "",
    changes: [
      `INSERT INTO orders VALUES (1, 'tea', 2), (2, '', NULL);
       UPDATE orders SET amount = amount + 1;
       UPDATE orders SET id = 3 WHERE id = 2;
       DELETE FROM orders WHERE id = 1;
       TRUNCATE orders`,
    ],
  },
  {
    name: "several transactions, one rolled back, some empty",
    tables: "CREATE TABLE other (id int PRIMARY KEY)",
    changes: [
      "INSERT INTO orders SELECT n, 'item ' || n, n * 10 FROM generate_series(1, 12) n",
      "BEGIN; INSERT INTO orders VALUES (90, 'no', 1); ROLLBACK; SELECT 1",
      "BEGIN; INSERT INTO orders VALUES (91, 'yes', 1); SAVEPOINT s; INSERT INTO orders VALUES (92); ROLLBACK TO s; INSERT INTO other VALUES (1); COMMIT",
      "CREATE TABLE late (id int PRIMARY KEY)",
      "INSERT INTO late VALUES (1); INSERT INTO orders VALUES (93); INSERT INTO late VALUES (2)",
    ],
  },
  {
    name: "booleans and integers",
    tables: "CREATE TABLE numbers (id int PRIMARY KEY, yes bool, small int2, big int8, number oid)",
    changes: [
      `INSERT INTO numbers VALUES (2147483647, true, 32767, 9223372036854775807, 4294967295),
         (-2147483648, false, -32768, -9223372036854775808, 0), (0, NULL, NULL, NULL, NULL),
         (1, true, 0, 9007199254740991, 1), (2, true, -1, 9007199254740992, 1), (3, true, -1, -9007199254740991, 1),
         (4, true, 10, -9007199254740992, 1), (5, true, 100, 9007199254740993, 1), (6, true, 1, 999999999999999, 1),
         (7, true, 1, -999999999999999, 1), (8, true, 1, 1000000000000000, 1), (9, false, 1, 0, 1)`,
    ],
  },
  {
    name: "floating point and numeric",
    tables:
      "CREATE TABLE floats (id int PRIMARY KEY, real float4, double float8, exact numeric, money money)",
    changes: [
      `INSERT INTO floats VALUES (1, 0.1, 0.1, 0.10, 1234.5), (2, 'NaN', 'NaN', 'NaN', -0.01),
         (3, 'Infinity', 'Infinity', 'Infinity', 0), (4, '-Infinity', '-Infinity', '-Infinity', NULL),
         (5, '-0', '-0', '-0', 92233720368547758.07), (6, 1e-40, 5e-324, 1e-30, 1), (7, 3e38, 1.7976931348623157e308, 1e40, 1),
         (8, 1e10, 1e22, 123456789012345678901234567890.123456789, 1), (9, 16777216, 9007199254740993, 7, 1),
         (10, NULL, NULL, NULL, NULL)`,
    ],
  },
  {
    name: "json",
    tables: "CREATE TABLE docs (id int PRIMARY KEY, doc json, docb jsonb)",
    changes: [
      `INSERT INTO docs VALUES (1, ' {"a" : [1, 2.50, null, true], "a": "again"} ', '{"b": {}, "a": [[]]}'),
         (2, '"text \\u00e9 \\n \\" \\\\"', '"text"'), (3, 'null', 'null'), (4, NULL, NULL), (5, '1e400', '1e400'),
         (6, '{"n": -1e999, "m": "1e400 \\" 2", "1": 1, "0": 0}', '{"10": 1, "9": 2, "__proto__": {"a": 1}}'),
         (7, '[12345678901234567890, 1.0, 1e+20]', '[12345678901234567890, 1.0, 1e+20]'),
         (8, '{"__proto__": 1, "constructor": 2}', '"🙂 Ünï"'), (9, 'false', '0')`,
    ],
  },
  {
    name: "dates and times",
    tables: `CREATE TABLE times (id int PRIMARY KEY, local timestamp, moment timestamptz, day date, clock time, zoned timetz,
      span interval)`,
    changes: [
      `INSERT INTO times VALUES (1, '2026-01-31 12:00:00', '2026-01-31 12:00:00.123456+00', '2026-01-31', '12:00', '12:00+05:30', '1 day 2 hours'),
         (2, '2026-01-31 12:00:00.5', '2026-01-31 23:59:59.000001-11', '0044-03-15 BC', '23:59:59.999999', '00:00-12', '-1 year 3 mons'),
         (3, 'infinity', '-infinity', 'infinity', '24:00', '24:00+00', '00:00:00.000001'),
         (4, '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', '4713-01-01 BC', NULL, NULL, '0'),
         (5, '10000-01-01 00:00:00', '29999-12-31 23:59:59.9+00', '5874897-12-31', '00:00', '00:00+00', '178000000 years'),
         (6, NULL, NULL, NULL, NULL, NULL, NULL), (7, '0001-01-01 00:00:00', '1970-01-01 00:00:00+00', '1970-01-01', '01:02:03.4', '01:02:03.4+01', '-00:00:01')`,
    ],
  },
  {
    name: "values that stay text",
    tables: `CREATE TYPE mood AS ENUM ('good', 'so so', 'bad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
      CREATE TYPE pair AS (a int, b text);
      CREATE TABLE texts (id int PRIMARY KEY, bytes bytea, uuid uuid, inet inet, cidr cidr, mac macaddr, bit bit(3), bits varbit,
        name name, fixed char(5), short varchar(20), single "char", xml xml, words tsvector, query tsquery, point point,
        range int4range, ranges nummultirange, mood mood, positive positive, pair pair, lsn pg_lsn, path jsonpath)`,
    changes: [
      `INSERT INTO texts VALUES (1, '\\x00ff10', '123e4567-e89b-12d3-a456-426614174000', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03',
         '101', '10', 'a name', 'ab', 'short', 'x', '<a>é</a>', 'a fat cat', 'fat & rat', '(1,2.5)', '[1,5)', '{[1.5,2),[3,4]}', 'so so', 7,
         ROW(1, 'a "b"'), '16/B374D848', '$.a[*]'),
         (2, '', NULL, '::1', '::/0', NULL, '000', '', '', '', '', '', NULL, '', NULL, NULL, 'empty', '{}', 'bad', NULL, ROW(NULL, NULL), NULL, NULL)`,
    ],
  },
  {
    name: "text in every script",
    tables: "",
    changes: [
      `INSERT INTO orders VALUES (1, E'tab\\t line\\n return\\r quote" apostrophe'' backslash\\\\ bell\\x07 del\\x7f', 1), (2, 'Grüße, naïve café', 2),
         (3, '日本語 한국어 العربية', 3), (4, '🙂👩‍👩‍👧 𝒳', 4), (5, E'\\u2028\\u2029\\ufffd\\u0080', 5), (6, '${"long and plain, ".repeat(20)}', 6),
         (7, '${"länger, ".repeat(30)}', 7), (8, ' ', 8), (9, '{not,an,array}', 9), (10, 'null', 10)`,
    ],
  },
  {
    name: "arrays",
    tables: `CREATE TYPE mood AS ENUM ('good', 'bad');
      CREATE TABLE lists (id int PRIMARY KEY, flags bool[], smalls int2[], ints int[], bigs int8[], oids oid[], reals float4[], doubles float8[],
        exacts numeric[], texts text[], shorts varchar[], fixed char(3)[], names name[], docs json[], docbs jsonb[], bytes bytea[], uuids uuid[],
        days date[], clocks time[], zoned timetz[], locals timestamp[], moments timestamptz[], spans interval[], inets inet[], cidrs cidr[],
        moods mood[], points point[], ranges int4range[])`,
    changes: [
      `INSERT INTO lists VALUES (1, '{t,f,NULL}', '{1,-1}', '{{1,2},{3,NULL}}', '{1,9007199254740993}', '{4294967295}', '{0.1,NaN}', '{-0,Infinity,1e22}',
         '{0.10,NaN}', ARRAY['a', 'b,"c"', 'NULL', NULL, '', '{}', E'\\\\ \\n'], '{x y,z}', '{a,bcd}', '{n}', ARRAY['1E+400', '1e10', '{"a": [1]}']::json[],
         ARRAY['{"a":[1]}', 'null', '"{}"']::jsonb[], ARRAY['\\x00ff']::bytea[], '{123e4567-e89b-12d3-a456-426614174000}', '{2026-01-31,infinity}',
         '{12:00}', '{12:00+01}', '{2026-01-31 12:00:00.5,infinity}', '{2026-01-31 12:00:00+00,0044-03-15 12:00:00+00 BC}', '{1 day}', '{10.0.0.1}', '{10.0.0.0/8}',
         '{good,NULL}', '{"(1,2)"}', '{"[1,5)"}')`,
      `INSERT INTO lists (id, flags, ints, texts, docs) VALUES (2, '{}', '[2:3]={1,2}', '{}', '{}'), (3, NULL, '{{{1}},{{2}}}', '{{a,b},{c,NULL}}', '{{1},{2}}')`,
    ],
  },
  {
    name: "names that mean something to JavaScript",
    tables: `CREATE SCHEMA IF NOT EXISTS "__proto__";
      CREATE TABLE "__proto__"."constructor" (b text, "10" int, "__proto__" jsonb, "2" int, "toString" text, "constructor" text, "0" int PRIMARY KEY,
        "-1" int, "4294967295" int, "ünï""'" text, "a.b" text)`,
    changes: [
      `INSERT INTO "__proto__"."constructor" VALUES ('b', 10, '{"x": 1}', 2, 't', 'c', 0, 1, 2, 'u', 'ab'), (NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL)`,
      `ALTER TABLE "__proto__"."constructor" REPLICA IDENTITY FULL`,
      `UPDATE "__proto__"."constructor" SET b = 'c'; DELETE FROM "__proto__"."constructor" WHERE b IS NOT NULL`,
      `DROP SCHEMA "__proto__" CASCADE`,
    ],
  },
  {
    name: "keys of several columns",
    tables: `CREATE TABLE keys (note text, "7" int, b text, "__proto__" int, PRIMARY KEY (b, "7", "__proto__"))`,
    changes: [
      `INSERT INTO keys VALUES ('x', 7, 'b', 1), ('y', 8, 'b', 2);
       UPDATE keys SET "7" = 9 WHERE note = 'x'; UPDATE keys SET note = NULL; UPDATE keys SET "__proto__" = 5, b = 'é' WHERE "7" = 8`,
      "DELETE FROM keys",
    ],
  },
  {
    name: "REPLICA IDENTITY FULL",
    tables: `ALTER TABLE orders REPLICA IDENTITY FULL; CREATE TABLE bodies (id int PRIMARY KEY, doc jsonb, body text, note text);
      ALTER TABLE bodies ALTER body SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL, REPLICA IDENTITY FULL`,
    changes: [
      "INSERT INTO orders VALUES (1, 'tea', 2), (2, NULL, NULL)",
      "UPDATE orders SET amount = 3; UPDATE orders SET id = 5 WHERE id = 2; DELETE FROM orders",
      `INSERT INTO bodies VALUES (1, jsonb_build_object('a', ${toasted("j")}), ${toasted("x")}, NULL)`,
      "UPDATE bodies SET note = 'n'",
      `UPDATE bodies SET body = NULL, note = 'm'`,
      "DELETE FROM bodies",
    ],
  },
  {
    name: "REPLICA IDENTITY of an index",
    tables: `CREATE TABLE items (id int PRIMARY KEY, code text NOT NULL, part int NOT NULL, note text);
      CREATE UNIQUE INDEX items_code ON items (part, code); ALTER TABLE items REPLICA IDENTITY USING INDEX items_code`,
    changes: [
      "INSERT INTO items VALUES (1, 'a', 1, 'x'), (2, 'b', 2, NULL)",
      "UPDATE items SET note = 'y'; UPDATE items SET code = 'c' WHERE id = 1; UPDATE items SET id = 9 WHERE id = 2; DELETE FROM items",
    ],
  },
  {
    name: "REPLICA IDENTITY NOTHING",
    tables: "CREATE TABLE logs (line text); ALTER TABLE logs REPLICA IDENTITY NOTHING",
    changes: ["INSERT INTO logs VALUES ('a'), (NULL)", "TRUNCATE logs"],
  },
  {
    name: "large values that an update did not touch",
    tables: `CREATE TABLE bodies (id int PRIMARY KEY, "1" text, body text, title text);
      ALTER TABLE bodies ALTER body SET STORAGE EXTERNAL, ALTER "1" SET STORAGE EXTERNAL`,
    changes: [
      `INSERT INTO bodies VALUES (1, ${toasted("y")}, ${toasted("x")}, 'a'), (2, 'short', ${toasted("z")}, NULL)`,
      "UPDATE bodies SET title = 'b'",
      "UPDATE bodies SET id = 3 WHERE id = 1; UPDATE bodies SET body = 'now short' WHERE id = 3",
    ],
  },
  {
    name: "a table without columns",
    tables: "CREATE TABLE nothing (); ALTER TABLE nothing REPLICA IDENTITY FULL",
    changes: [
      "INSERT INTO nothing DEFAULT VALUES",
      "TRUNCATE nothing",
      "ALTER TABLE nothing ADD a int",
      "INSERT INTO nothing VALUES (1)",
    ],
  },
  {
    name: "truncates of several tables",
    tables: `CREATE TABLE lines (id serial PRIMARY KEY, order_id int REFERENCES orders); CREATE TABLE other (id int);
      CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
      CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')`,
    changes: [
      "INSERT INTO orders VALUES (1); INSERT INTO lines VALUES (1, 1)",
      "TRUNCATE orders CASCADE",
      "TRUNCATE other, lines, orders RESTART IDENTITY",
      "INSERT INTO parts VALUES (1, '2026-01-15'), (2, '2026-02-15')",
      "TRUNCATE parts; INSERT INTO other VALUES (1)",
      "INSERT INTO other VALUES (2); TRUNCATE other; TRUNCATE other",
    ],
  },
  {
    name: "a schema that changes under way",
    tables: "",
    changes: [
      "INSERT INTO orders VALUES (1, 'a', 1)",
      "ALTER TABLE orders ADD note jsonb DEFAULT '{}'",
      `INSERT INTO orders VALUES (2, 'b', 2, '{"gift": true}'); ALTER TABLE orders DROP item; INSERT INTO orders VALUES (3, 3, NULL)`,
      "ALTER TABLE orders ALTER amount TYPE text USING amount || ' pieces'; UPDATE orders SET amount = '5' WHERE id = 3",
      "ALTER TABLE orders RENAME note TO remark; ALTER TABLE orders RENAME TO purchases; INSERT INTO purchases VALUES (4, 'x', '[]')",
      "ALTER TABLE purchases DROP CONSTRAINT orders_pkey; ALTER TABLE purchases ADD PRIMARY KEY (amount); DELETE FROM purchases WHERE id = 4",
      "DROP TABLE purchases; CREATE TABLE orders (id bigint PRIMARY KEY); INSERT INTO orders VALUES (5)",
    ],
  },
  {
    name: "generated columns, dropped columns and many columns",
    tables: `CREATE TABLE made (gone int, id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, n int GENERATED ALWAYS AS IDENTITY);
      ALTER TABLE made DROP gone;
      CREATE TABLE wide (${Array.from({ length: 60 }, (_, index) => `c${index} ${["int", "text", "bool"][index % 3]}`).join(", ")})`,
    changes: [
      "INSERT INTO made VALUES (1), (2)",
      `INSERT INTO wide (c0, c1, c2, c57, c58, c59) VALUES (0, 'one', true, 57, '', false), (1, NULL, NULL, NULL, NULL, NULL)`,
    ],
  },
];
