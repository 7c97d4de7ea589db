/**
 * The configuration is invalid. The message has one line for each problem, with its source and key; it never contains a
 * secret.
 */
export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
  }
}
