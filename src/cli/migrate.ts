import { loadConfig } from '../config.ts'
import { migrate } from '../storage/migrate.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { withConfiguredDatabase } from './open-configured.ts'

export const migrateDatabase = defineCommand({
  about:
    'Brings the database to the newest version and ends. The server does so itself when it starts; with this command you choose when, for instance before several processes are replaced.',
  options: CONFIG_OPTION,
  examples: [['migrate --config hearth.yaml', 'after an upgrade, before the servers start']],
  async run({ config: configFile }) {
    const applied = await withConfiguredDatabase(loadConfig({ configFile }), migrate)
    for (const name of applied) console.log(`Applied ${name}`)
    console.log('The database is up to date.')
    return 0
  },
})
