import { loadConfig } from '../config.ts'
import { migrate } from '../storage/engine/migrate.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { withConfiguredDatabase } from './open-configured.ts'

export const migrateDatabase = defineCommand({
  about:
    'Migrates the database and exits. The server also migrates when it starts. Use this command to choose the time, for example before you replace several processes.',
  options: CONFIG_OPTION,
  examples: [['migrate --config hearth.yaml', 'after an upgrade, before the servers start']],
  async run({ config: configFile }) {
    const applied = await withConfiguredDatabase(loadConfig({ configFile }), migrate)
    for (const name of applied) console.log(`Applied ${name}`)
    console.log('The database is up to date.')
    return 0
  },
})
