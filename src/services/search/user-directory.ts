import type { App } from '../../app.ts'
import { isContentUri } from '../../core/content-uri.ts'
import { localpartOf, type UserId } from '../../core/ids.ts'
import { searchQuery, searchTokens } from '../../core/text/search-tokens.ts'
import { type FoundUser, findUsers } from '../../storage/search/user-directory.ts'
import { catchUpIndex } from './index-stream.ts'

export type UserDirectoryAnswer = {
  results: { user_id: UserId; display_name?: string; avatar_url?: string }[]
  limited: boolean
}

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 100
/** Further words of a search term are ignored. */
const MAX_WORDS = 8
const NAME_CHECK = 'check_username_for_spam'

/**
 * Finds users whose ID or display name has words that begin with those of the term, among users who share a room with
 * the searcher or are in a public room. Names that a local user has only in some room are not searched.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch
 */
export async function searchUsers(
  app: Pick<App, 'database' | 'stream' | 'clock' | 'reading' | 'spamChecks'>,
  { userId, term, limit = DEFAULT_LIMIT }: { userId: UserId; term: string; limit?: number | undefined },
): Promise<UserDirectoryAnswer> {
  const [name, server] = splitUserId(term.trim())
  const prefixes = searchQuery(name).tokens.slice(0, MAX_WORDS)
  if (prefixes.length === 0) return { results: [], limited: false }
  await catchUpIndex(app)
  const wanted = Math.min(limit, MAX_LIMIT)
  // The indexed words include names from rooms that the searcher is not in.
  const search = { searcher: userId, prefixes, server, limit: 2 * wanted + 50 }
  const found = await app.reading.inTurn(userId, () => findUsers(app.database, search))
  const matching = found.filter((user) => hasWords(user, prefixes))
  const results = await withoutSpam(app, userId, matching.slice(0, wanted).map(resultOf))
  return { results, limited: matching.length > wanted }
}

async function withoutSpam<Result extends { user_id: UserId }>(
  { spamChecks }: Pick<App, 'spamChecks'>,
  searcher: UserId,
  results: readonly Result[],
): Promise<Result[]> {
  if (!spamChecks?.has(NAME_CHECK)) return [...results]
  const shown = results.map((user_profile) =>
    spamChecks
      .check(NAME_CHECK, () => ({ user_profile, requester_id: searcher }))
      .then(
        () => true,
        () => false,
      ),
  )
  const verdicts = await Promise.all(shown)
  return results.filter((_, place) => verdicts[place])
}

/** Splits a user ID, or the beginning of one. */
function splitUserId(term: string): [string, string | undefined] {
  const colon = term.indexOf(':')
  if (!term.startsWith('@') || colon < 0) return [term, undefined]
  return [term.slice(1, colon), term.slice(colon + 1).replaceAll('\0', '')]
}

function hasWords({ user_id, display_name }: FoundUser, prefixes: readonly string[]): boolean {
  const words = searchTokens(`${localpartOf(user_id)}\n${display_name ?? ''}`)
  return prefixes.every((prefix) => words.some((word) => word.startsWith(prefix)))
}

function resultOf({ user_id, display_name, avatar_url }: FoundUser): UserDirectoryAnswer['results'][number] {
  return {
    user_id,
    ...(display_name !== null && { display_name }),
    ...(isContentUri(avatar_url) && { avatar_url }),
  }
}
