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
      .replace(/([?&][^=&]*password=)[^&]*/gi, "$1***")
      .replace(/^([^:/?#]*:\/\/)?([^:]*):.*@/s, "$1$2:***@")
      // Without a host, what should be the port is the password.
      .replace(/^([^:/?#]*:\/\/[^@:/?#[]*):(?!\*\*\*@|\d*(?:[/?#,]|$)).*/s, "$1:***")
  );
}
