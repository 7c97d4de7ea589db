import { expect, test } from 'vitest'
import { signsOfLife } from './import-synapse.ts'

type Source = Parameters<typeof signsOfLife>[0]

test('Synapse and MAS run as long as their databases have other sessions', async () => {
  const signs = (synapse: number, mas: number | undefined) => {
    const database = (sessions: number) => ({ countSessions: async () => sessions })
    const source = { synapse: { listeners: [] }, databases: { main: database(synapse) } }
    return signsOfLife({
      ...source,
      mas: mas === undefined ? undefined : { database: database(mas) },
    } as never as Source)
  }
  expect(await signs(0, undefined)).toEqual([])
  expect(await signs(0, 0)).toEqual([])
  expect(await signs(2, 3)).toEqual([
    expect.stringMatching(/^2 other sessions of Synapse's .* Stop Synapse/),
    expect.stringMatching(/^3 other sessions of MAS's .* Stop MAS/),
  ])
})
