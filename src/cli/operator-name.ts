import { userInfo } from 'node:os'

/** The longest name that the server accepts. */
const MAX_NAME = 64

/** Returns the name of the user who runs the command. In a container the user may have a number only. */
export function operatorName(): string {
  try {
    return userInfo().username.slice(0, MAX_NAME)
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}
