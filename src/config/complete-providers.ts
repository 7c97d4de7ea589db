import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError } from './config-error.ts'
import { whyUnreadable } from './file.ts'
import type { ParsedProvider, ProviderConfig } from './identity-providers.ts'
import { type Locate, problemAt } from './problems.ts'

/** Reads the files with secrets. Throws ConfigError for these, and for an id that two providers have. */
export function completeProviders(parsed: readonly ParsedProvider[], locate: Locate): ProviderConfig[] {
  const problems: string[] = []
  const problem = (path: PropertyKey[], message: string) =>
    problems.push(problemAt(locate, ['identity_providers', ...path], message))
  const providers = parsed.map((provider, index): ProviderConfig => {
    const first = parsed.findIndex(({ id }) => id === provider.id)
    if (first < index) problem([index, 'id'], `identity_providers.${first} has this id too; choose another`)
    if (provider.kind === 'cas') return provider
    const { client_secret, client_secret_file: file, ...rest } = provider
    if (file === undefined) return { ...rest, client_secret }
    if (client_secret !== undefined) problem([index, 'client_secret_file'], 'client_secret is set too; remove one')
    try {
      return { ...rest, client_secret: readFileSync(resolve(file), 'utf8').trim() || undefined }
    } catch (error) {
      problem([index, 'client_secret_file'], `cannot read ${file}: ${whyUnreadable(error)}`)
      return { ...rest, client_secret: undefined }
    }
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return providers
}
