import { templateFile } from './test-database.ts'

/**
 * Makes the template that black-box tests copy into the data folders of servers: `node src/testing/make-template.ts`.
 */
await templateFile()
