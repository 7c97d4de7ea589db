import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadLibrary } from '../../infra/media/thumbnails.ts'
import { type Check, type Finding, good, problem, warning } from './finding.ts'

const NEEDED_NODE = 24
const LITTLE_SPACE = 1024 ** 3
const OTHERS_MAY_READ = 0o004
/** Before the first release: a clock that shows less is wrong. */
const EARLIEST = Date.UTC(2026, 0, 1)

/** Checks Node's version, the clock, the data folder and the thumbnail library. */
export const checkMachine: Check = async (config) => [
  checkNode(process.versions.node),
  checkClock(Date.now()),
  ...checkDataFolder(config.data_dir),
  await checkThumbnails(loadLibrary),
]

function checkNode(version: string): Finding {
  if (Number.parseInt(version, 10) >= NEEDED_NODE) return good(`Node ${version}`)
  return problem(`Node ${version} is too old.`, `Use Node ${NEEDED_NODE}: npm start brings its own.`)
}

function checkClock(now: number): Finding {
  const shown = new Date(now).toISOString()
  if (now > EARLIEST) return good(`The clock says ${shown}`)
  return problem(`The clock says ${shown}.`, 'Set it, and turn on NTP (timedatectl set-ntp true).')
}

function checkDataFolder(folder: string): Finding[] {
  const existing = nearestExisting(folder)
  try {
    accessSync(existing, constants.W_OK)
  } catch {
    return [
      problem(`${existing} is not writable.`, `Give it to Hearth's user (chown), or set data_dir to another folder.`),
    ]
  }
  const { bavail, bsize } = statfsSync(existing)
  const free = bavail * bsize
  return [
    free < LITTLE_SPACE
      ? warning(`${folder} has only ${Math.round(free / 1024 ** 2)} MB left.`, 'Free some space, or move data_dir.')
      : good(`${folder} is writable, with ${Math.round(free / 1024 ** 3)} GB free`),
    ...(folder === existing && (statSync(folder).mode & OTHERS_MAY_READ) !== 0
      ? [warning(`Everyone on this machine can read ${folder}.`, `chmod 700 ${folder}`)]
      : []),
  ]
}

/** The library is native code: a folder copied from another machine may lack the build for this one. */
export async function checkThumbnails(load: () => Promise<unknown>): Promise<Finding> {
  try {
    await load()
    return good('The thumbnail library loads')
  } catch (error) {
    const [why] = (error as Error).message.split('\n')
    return warning(
      `The thumbnail library does not load: ${why}`,
      'Run npm install --include=optional on this machine, and restart Hearth.',
    )
  }
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder))
}
