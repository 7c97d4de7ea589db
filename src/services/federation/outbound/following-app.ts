import type { App } from '../../../app.ts'

/** The components that convert stream rows into EDUs. */
export type FollowingApp = Pick<App, 'config' | 'database' | 'serverName' | 'clock' | 'logger'>
