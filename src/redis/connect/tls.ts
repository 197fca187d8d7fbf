import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { rxaddError } from "../../errors/rxaddError.ts";
import { codeOf } from "../../errors/thrown.ts";

/** How a connection is encrypted. Certificates and keys are PEM: a file's path, or the text itself. */
export interface TlsOptions {
  /** Who may have signed the server's certificate. Default: the authorities that Node knows. */
  readonly ca?: string | undefined;
  /** The client's certificate, where the server asks for one; with `key`. */
  readonly cert?: string | undefined;
  /** The key of `cert`. */
  readonly key?: string | undefined;
  /** The name that the server's certificate must have. Default: the host. */
  readonly serverName?: string | undefined;
  /** Do not verify the server: whoever is between sees and changes everything. Default false. */
  readonly acceptAnyCertificate?: boolean;
}

function pem(name: keyof TlsOptions, value: string | undefined): string | undefined {
  if (value === undefined || value.includes("-----BEGIN ")) return value;
  try {
    return readFileSync(value, "utf8");
  } catch (error) {
    // Neither the path nor what Node says of it: what was meant as the text of a key would be shown as the name of the file.
    throw rxaddError(
      "ConfigurationInvalid",
      `tls.${name}: found neither a PEM text, with its line BEGIN, nor a file that can be read (${codeOf(error) ?? "an error"}), expected one of them`,
    );
  }
}

/** What Node has to be told; reads the files, so that a renewed certificate counts from the next connection on. */
export function tlsOptions({
  ca,
  cert,
  key,
  serverName,
  acceptAnyCertificate,
}: TlsOptions): ConnectionOptions {
  if ((cert === undefined) !== (key === undefined)) {
    throw rxaddError(
      "ConfigurationInvalid",
      `tls: found ${cert === undefined ? "key without cert" : "cert without key"}, expected both or none`,
    );
  }
  return {
    ca: pem("ca", ca),
    cert: pem("cert", cert),
    key: pem("key", key),
    ...(serverName !== undefined && { servername: serverName }),
    rejectUnauthorized: acceptAnyCertificate !== true,
  };
}
