import type { Config } from '../config.ts'
import type { UserId } from '../core/ids.ts'
import { localUserId } from '../services/users/user-names.ts'
import { CommandError } from './command.ts'
import { ask } from './read-password.ts'

/** Returns the account that a command names, and asks for its name if it is missing. Throws CommandError. */
export async function askAccount(config: Config, username: string | undefined, command: string): Promise<UserId> {
  const name = username ?? (await ask('User name: ', `Name the account: hearth ${command} USERNAME`))
  const userId = localUserId({ serverName: config.server_name }, name)
  if (userId) return userId
  throw new CommandError(`${name} is not an account of this server, which is ${config.server_name}.`)
}
