/** Returns a base URL without slashes at its end, so that a path can be appended. Linear in its length. */
export function withoutTrailingSlashes(url: string): string {
  return url.replace(/(?<!\/)\/+$/, '')
}
