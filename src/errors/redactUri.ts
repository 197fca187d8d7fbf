/**
 * Replaces the passwords in a text that is, or was meant to be, a URI by `***`: for everything that
 * is printed.
 *
 * It does not parse the URI: what does not parse has a password to hide as well. In doubt it hides
 * more than the password.
 *
 * @example
 * ```ts
 * redactUri("redis://app:s3cret@localhost:6379"); // redis://app:***@localhost:6379
 * ```
 */
export function redactUri(uri: string): string {
  return (
    uri
      .replace(/([?&#])([^=&#]*)=[^&]*/g, (all, start, name) =>
        isSecret(name) ? `${start}${name}=***` : all,
      )
      .replace(/^([^:/?#]*:\/\/)?([^:]*):.*@/s, "$1$2:***@")
      // Without a host, what should be the port is the password.
      .replace(/^([^:/?#]*:\/\/[^@:/?#[]*):(?!\*\*\*@|\d*(?:[/?#,]|$)).*/s, "$1:***")
  );
}

/** A name may be written in codes as well: `pass%77ord`. */
function isSecret(name: string): boolean {
  const plain = name.replace(/%([0-9a-f]{2})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return /pass|pwd|secret|token|auth|credential/i.test(plain);
}
