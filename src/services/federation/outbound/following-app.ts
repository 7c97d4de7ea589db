import type { App } from '../../../app.ts'

/** What turning rows of the stream into EDUs needs. */
export type FollowingApp = Pick<App, 'config' | 'database' | 'serverName' | 'clock' | 'logger'>
