import type { ConnectedUser } from './connected-users.ts'

/** Lets a request wait for something that concerns a user. */
export type Waker = {
  /** Forgets what happened until now. */
  reset(): void
  /** Resolves when something happened since `reset`, after `ms`, or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>
  close(): void
}

/** Begins to listen for a user; `close` ends it. */
export function createWaker(user: ConnectedUser): Waker {
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
      if (happened || signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          resume = () => {}
          resolve()
        }
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
