/**
 * Replaces the passwords in a text that is, or was meant to be, a URI by `***`: for everything that
 * is printed.
 *
 * It does not parse the URI: what does not parse has a password to hide as well.
 */
export function redactUri(uri: string): string {
  return uri
    .replace(/([?&][^=&]*password=)[^&]*/gi, "$1***")
    .replace(/^([^:/?#]*:\/\/)?([^/:]*):.*@/s, "$1$2:***@");
}
