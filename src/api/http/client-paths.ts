/** Returns the r0 and v3 paths of an endpoint. */
export function v3(path: string): string[] {
  return [`/_matrix/client/v3${path}`, `/_matrix/client/r0${path}`]
}
