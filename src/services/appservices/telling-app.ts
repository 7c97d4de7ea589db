import type { App } from '../../app.ts'

/** What the parts of a transaction to an application service need. */
export type TellingApp = Pick<App, 'config' | 'database' | 'clock' | 'reading'>
