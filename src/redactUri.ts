/** Replaces the password of anything that looks like a URI by `***`. */
export function redactUri(uri: string): string {
  return uri.replace(/^([^:/?#]*:\/\/)?([^/]*):.*@/s, "$1$2:***@");
}
