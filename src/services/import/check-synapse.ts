import { ROOM_VERSIONS } from '../../core/room-versions.ts'
import type { SynapseDatabase } from '../../infra/synapse/synapse-database.ts'

/** A finding of a check. error: an import is not possible; warning: something is lost or needs attention. */
export type CheckFinding = { severity: 'error' | 'warning'; text: string }

/** The oldest schema that has all tables and columns which the import reads, and the newest that was tried. */
const OLDEST_SCHEMA = 93
const NEWEST_SCHEMA = 94

/** Finds what hinders an import of a Synapse database, or would be lost. */
export async function checkSynapse(main: SynapseDatabase): Promise<CheckFinding[]> {
  const version = await schemaVersion(main)
  if (version === undefined) return [error('The database has no table schema_version: it is not Synapse’s.')]
  if (version < OLDEST_SCHEMA)
    return [
      error(
        `The database has the schema ${version}. Upgrade Synapse to a version with schema ${OLDEST_SCHEMA} or later and start it once.`,
      ),
    ]
  const findings: CheckFinding[] = []
  if (version > NEWEST_SCHEMA)
    findings.push(
      warning(
        `The database has the schema ${version}, which is newer than those that were tried (up to ${NEWEST_SCHEMA}).`,
      ),
    )
  findings.push(...(await countedFindings(main)), ...(await roomFindings(main)))
  return findings
}

async function schemaVersion(main: SynapseDatabase): Promise<number | undefined> {
  try {
    return (await main.query<{ version: number }>('select version from schema_version'))[0]?.version
  } catch {
    return undefined
  }
}

type Counted = { from: string; severity: CheckFinding['severity']; describe(count: number): string }

const COUNTED: readonly Counted[] = [
  {
    from: 'background_updates',
    severity: 'error',
    describe: (count) =>
      `Synapse has not finished ${count} background updates. Start it and wait until the table background_updates is empty.`,
  },
  {
    from: 'partial_state_rooms',
    severity: 'error',
    describe: (count) =>
      `${count} rooms were joined quickly and have no complete state yet. Start Synapse and wait until the table partial_state_rooms is empty, or leave these rooms.`,
  },
  {
    from: 'federation_inbound_events_staging',
    severity: 'warning',
    describe: (count) =>
      `${count} received events are not processed yet and are not imported. Synapse processes them while it runs.`,
  },
  {
    from: "user_external_ids where auth_provider = 'saml'",
    severity: 'warning',
    describe: (count) =>
      `${count} users sign in through SAML, which Hearth does not have. They need a password or another provider.`,
  },
  {
    from: 'pushers where enabled is false',
    severity: 'warning',
    describe: (count) => `${count} pushers are disabled and not imported: their clients have to add them again.`,
  },
]

async function countedFindings(main: SynapseDatabase): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = []
  for (const { from, severity, describe } of COUNTED) {
    const [row] = await main.query<{ count: number }>(`select count(*) as count from ${from}`).catch(() => [])
    if (row && row.count > 0) findings.push({ severity, text: describe(row.count) })
  }
  return findings
}

async function roomFindings(main: SynapseDatabase): Promise<CheckFinding[]> {
  const rows = await main.query<{ room_version: string | null; count: number }>(
    'select room_version, count(*) as count from rooms group by room_version order by room_version',
  )
  return rows
    .filter(({ room_version }) => room_version !== null && !ROOM_VERSIONS.has(room_version))
    .map(({ room_version, count }) =>
      warning(`${count} rooms have the version ${room_version}, which Hearth does not support. They are left out.`),
    )
}

function error(text: string): CheckFinding {
  return { severity: 'error', text }
}

function warning(text: string): CheckFinding {
  return { severity: 'warning', text }
}
