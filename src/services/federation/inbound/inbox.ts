/** Drains the inbox. Each room is processed by one process at a time; rooms do not wait for one another. */
export type Inbox = {
  /** Looks for rooms with queued events now. */
  look(): Promise<void>
  /** Waits until this process has no work in progress. */
  idle(): Promise<void>
  /**
   * Starts to look at intervals and to renew leases. `stop` waits for work in progress, then releases the leases of
   * this process.
   */
  start(): { stop(): Promise<void> }
}
