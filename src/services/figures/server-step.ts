import { noLoad } from '../../core/figures/load.ts'
import { TIERS } from '../../core/figures/tiers.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { insertFigures } from '../../storage/figures/figure-steps.ts'
import type { ServerValues } from '../../storage/figures/server-figures.ts'
import { stepRow } from './step-texts.ts'

/** Stores figures of the server as a whole, as those of process 0, for one of the shortest steps. */
export async function storeServerStep(tx: Tx, stepTs: number, values: ServerValues): Promise<void> {
  const key = { resolution: TIERS[0]!.resolution, step_ts: stepTs, process: 0 }
  await insertFigures(tx, [stepRow({ load: { ...noLoad(), values } }, key)])
}
