import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { localpartOf } from '../../core/ids.ts'
import { askAccount } from '../ask-account.ts'
import { CONFIG_OPTION, CommandError, defineCommand } from '../command.ts'
import { withAdminApi } from './admin-api.ts'

export const exportUserCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Writes all data of a user into a ZIP archive: account, devices, settings, rooms with the events that the user can see, and uploaded files.',
  options: {
    ...CONFIG_OPTION,
    output: { type: 'string', value: 'FILE', about: 'the archive; absent: USERNAME.zip in this folder' },
  },
  examples: [['user export alice --output alice.zip', 'answer a request for all data of a person']],
  async run({ config: configFile, output }, name) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, name, 'user export')
    const file = output ?? `${localpartOf(userId)}.zip`
    if (existsSync(file)) throw new CommandError(`${file} exists already. Choose another name.`)
    const path = hearthV1(`/users/${encodeURIComponent(userId)}/export`)
    try {
      await withAdminApi(config, async ({ download }) =>
        pipeline(await download(path), createWriteStream(`${file}.partial`, { mode: 0o600, flush: true })),
      )
    } catch (error) {
      await rm(`${file}.partial`, { force: true })
      throw error
    }
    await rename(`${file}.partial`, file)
    console.log(`${file} has the data of ${userId}.`)
    return 0
  },
})
