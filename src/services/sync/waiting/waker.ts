import type { App } from '../../../app.ts'
import type { ConnectedUser } from './connected-users.ts'

/** Makes a request wait for a row that concerns its user. */
export type Waker = {
  /** Forgets rows up to now. */
  reset(): void
  /**
   * Resolves when a row has arrived since `reset`, after `ms`, or when the signal is aborted. Resolves to true if the
   * user has newer requests, for which this one has to end.
   */
  wait(ms: number, signal: AbortSignal): Promise<boolean>
  close(): void
}

/** Starts to listen for a user; `close` stops. */
export function createWaker(app: Pick<App, 'sync'>, user: ConnectedUser): Waker {
  let happened = false
  let resume = () => {}
  const wake = () => {
    happened = true
    resume()
  }
  user.wakers.add(wake)
  return {
    reset() {
      happened = false
    },
    wait(ms, signal) {
      if (happened || signal.aborted) return Promise.resolve(false)
      return new Promise((resolve) => {
        const finish = (isOver: boolean) => {
          clearTimeout(timer)
          leave()
          signal.removeEventListener('abort', done)
          resume = () => {}
          resolve(isOver)
        }
        const done = () => finish(false)
        const leave = app.sync.waitingRequests.enter(user.userId, () => finish(true))
        const timer = setTimeout(done, ms)
        signal.addEventListener('abort', done)
        resume = done
      })
    },
    close() {
      user.wakers.delete(wake)
    },
  }
}
