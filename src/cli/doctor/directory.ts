import { pino } from 'pino'
import type { Config } from '../../config.ts'
import { createTrust } from '../../infra/http/trusted-connections.ts'
import { createDirectory } from '../../infra/users/directory.ts'
import { type Finding, good, problem } from './finding.ts'

/** Checks that the LDAP directory, if one is configured, answers Hearth's search. */
export async function checkDirectory({ ldap, federation }: Config): Promise<Finding[]> {
  const trust = createTrust([...federation.trusted_certificates, ...(ldap.ca === undefined ? [] : [ldap.ca])])
  const directory = await createDirectory(ldap, { trust, logger: pino({ level: 'silent' }) })
  if (!directory) return []
  try {
    await directory.authenticate({ name: 'hearth-doctor', password: undefined, admit: async () => {} })
    return [good(`The LDAP directory ${ldap.url} answers`)]
  } catch (error) {
    const why = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message
    return [
      problem(
        `Users of the LDAP directory ${ldap.url} cannot sign in: ${why}.`,
        'Check url, ca, bind_dn, bind_password and base of the section ldap, and that the directory runs.',
      ),
    ]
  } finally {
    directory.close()
  }
}
