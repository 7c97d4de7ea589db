/** The paths of an endpoint that had the version r0 before v3. */
export function v3(path: string): string[] {
  return [`/_matrix/client/v3${path}`, `/_matrix/client/r0${path}`]
}
