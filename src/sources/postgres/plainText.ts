/** Values arrive as text: it must not depend on how the database or the user likes to see it. */
export const plainText =
  "SET client_min_messages = warning; SET datestyle = ISO; SET timezone = 'UTC'; SET intervalstyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; SET lc_monetary = 'C'";
