import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import type { ServerTls } from "./redisServer.ts";

/** A certificate and its key, as PEM texts and as files that hold them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Certificates for servers on 127.0.0.1 and localhost, and for their clients; valid and signed by `ca` if not said otherwise. */
export interface Certificates {
  readonly ca: Certificate;
  readonly server: Certificate;
  readonly client: Certificate;
  /** A server's, for another host. */
  readonly wrongHost: Certificate;
  /** A server's, which ended yesterday. */
  readonly expired: Certificate;
  readonly otherCa: Certificate;
  /** A server's and a client's, signed by `otherCa`. */
  readonly stranger: Certificate;
  /** Removes the files. */
  readonly remove: () => void;
}

/** Type 2 is a host name, type 7 an address. */
type AltName = { type: 2; value: string } | { type: 7; ip: string };

interface Kind {
  readonly altNames?: readonly AltName[];
  /** Signs itself without one. */
  readonly ca?: Certificate;
  /** From now; negative: it has ended. */
  readonly days?: number;
}

type Extensions = NonNullable<NonNullable<Parameters<typeof generate>[1]>["extensions"]>;

const dayMs = 24 * 60 * 60 * 1000;
const loopback: readonly AltName[] = [
  { type: 2, value: "localhost" },
  { type: 7, ip: "127.0.0.1" },
];

const authority: Extensions = [
  { name: "basicConstraints", cA: true, critical: true },
  { name: "keyUsage", keyCertSign: true, critical: true },
];

function holder(altNames: readonly AltName[]): Extensions {
  const use: Extensions = [{ name: "extKeyUsage", serverAuth: true, clientAuth: true }];
  return altNames.length === 0 ? use : [...use, { name: "subjectAltName", altNames: [...altNames] }];
}

/** Makes them all, in a folder of their own. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), "rxadd-certificates-"));
  const make = (name: string, kind: Kind) => makeCertificate(folder, name, kind);
  const ca = await make("ca", {});
  const otherCa = await make("other-ca", {});
  return {
    ca,
    otherCa,
    server: await make("server", { ca, altNames: loopback }),
    client: await make("client", { ca }),
    wrongHost: await make("wrong-host", { ca, altNames: [{ type: 2, value: "redis.example" }] }),
    expired: await make("expired", { ca, altNames: loopback, days: -1 }),
    stranger: await make("stranger", { ca: otherCa, altNames: loopback }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What `startRedis` needs to speak TLS: with which certificate, and whether clients have to show one. */
export function tlsOf(
  { ca, client, server }: Certificates,
  { certificate = server, authClients = false } = {},
): ServerTls {
  return {
    args: [
      ...["--tls-cert-file", certificate.certFile, "--tls-key-file", certificate.keyFile],
      ...["--tls-ca-cert-file", ca.certFile, "--tls-auth-clients", authClients ? "yes" : "no"],
    ],
    // The test's own client gets in whatever is wrong with the server's certificate.
    client: { cert: client.cert, key: client.key, rejectUnauthorized: false },
  };
}

async function makeCertificate(folder: string, name: string, kind: Kind): Promise<Certificate> {
  const { altNames = [], ca, days = 10 } = kind;
  const made = await generate([{ name: "commonName", value: `rxadd ${name}` }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() - 10 * dayMs),
    notAfterDate: new Date(Date.now() + days * dayMs),
    ...(ca === undefined ? {} : { ca: { key: ca.key, cert: ca.cert } }),
    extensions: ca === undefined ? authority : holder(altNames),
  });
  const certFile = join(folder, `${name}.crt`);
  const keyFile = join(folder, `${name}.key`);
  writeFileSync(certFile, made.cert);
  writeFileSync(keyFile, made.private, { mode: 0o600 });
  return { cert: made.cert, key: made.private, certFile, keyFile };
}
