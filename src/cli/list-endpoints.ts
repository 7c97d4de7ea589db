import { renderEndpointTable } from '../api/endpoint-table.ts'
import { defineCommand } from './command.ts'

export const listEndpoints = defineCommand({
  about: 'Prints every HTTP endpoint as Markdown, with its authentication, rate limit and source file.',
  options: {},
  examples: [['list-endpoints', 'read which paths the server answers']],
  async run() {
    process.stdout.write(await renderEndpointTable())
    return 0
  },
})
