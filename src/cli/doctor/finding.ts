import type { Config } from '../../config.ts'

/** What a check has found, and for what is not well how to mend it. */
export type Finding = { level: 'good'; what: string } | { level: 'warning' | 'problem'; what: string; mend: string }

/** One thing that the doctor looks at. `running`: whether a Hearth answers on this machine's listeners. */
export type Check = (config: Config, running: boolean) => Promise<Finding[]>

export function good(what: string): Finding {
  return { level: 'good', what }
}

/** It works, but not as well as it should. */
export function warning(what: string, mend: string): Finding {
  return { level: 'warning', what, mend }
}

/** It does not work. */
export function problem(what: string, mend: string): Finding {
  return { level: 'problem', what, mend }
}
