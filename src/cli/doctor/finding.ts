import type { Config } from '../../config.ts'

/** The result of a check; a warning or problem says how to fix it. */
export type Finding = { level: 'good'; what: string } | { level: 'warning' | 'problem'; what: string; fix: string }

/** One check of the doctor. `running`: whether a Hearth answers on this machine's listeners. */
export type Check = (config: Config, running: boolean) => Promise<Finding[]>

export function good(what: string): Finding {
  return { level: 'good', what }
}

/** It works, but not as well as it should. */
export function warning(what: string, fix: string): Finding {
  return { level: 'warning', what, fix }
}

/** It does not work. */
export function problem(what: string, fix: string): Finding {
  return { level: 'problem', what, fix }
}
