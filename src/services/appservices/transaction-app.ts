import type { App } from '../../app.ts'

/** The components that assemble a transaction to an application service. */
export type TransactionApp = Pick<App, 'config' | 'database' | 'clock' | 'reading'>
