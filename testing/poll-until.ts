const DEADLINE_MS = 30_000
const PAUSE_MS = 20

/**
 * Polls until the result is neither false nor undefined nor an error, and returns it. Throws with the last error after
 * 30 seconds (or `deadline` ms). `pause`: the interval, for expensive checks.
 */
export async function pollUntil<Result>(
  what: string,
  ask: () => Promise<Result | false | undefined> | Result | false | undefined,
  deadline = DEADLINE_MS,
  pause = PAUSE_MS,
): Promise<Result> {
  const end = Date.now() + deadline
  let last: unknown
  do {
    try {
      const result = await ask()
      if (result !== false && result !== undefined) return result
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, pause))
  } while (Date.now() < end)
  throw new Error(`It did not come true in ${deadline} ms that ${what}`, { cause: last })
}
