import { expect } from 'vitest'
import { type Attack, describeAttacks } from '../harness/hostile-world.ts'
import { openConnection } from '../harness/raw-connection.ts'

const ATTACKS: Attack[] = [
  {
    name: 'a request line without an end, then a reset',
    async attempt({ url }) {
      const connection = await openConnection(url)
      connection.send('GET /_matrix/client/versions')
      connection.cut()
      expect((await fetch(`${url}/_matrix/client/versions`)).status).toBe(200)
    },
  },
]

describeAttacks('connections', ATTACKS)
