import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { createWorld } from '../harness/app.js'
import { chromiumFlags, findChromium } from '../harness/browser.js'

const executablePath = findChromium()

test.skipIf(executablePath === null)(
  'GraphiQL knows the schema as it opens, and what it asks is answered',
  async () => {
    const world = await createWorld()
    const browser = await chromium.launch({ executablePath: executablePath!, args: chromiumFlags })
    try {
      const page = await browser.newPage()
      const answerTo = async (word: string) =>
        (await page.waitForResponse((response) => response.request().postData()?.includes(word) === true)).json()
      const schema = answerTo('__schema')
      await page.goto(world.url)
      expect(await schema).toHaveProperty('data.__schema.queryType.name', 'Query')
      const events = answerTo('globalEvents')
      await page.locator('.graphiql-execute-button').click()
      // The key it opens with is nobody's.
      expect((await events).errors[0].extensions.code).toBe('UNAUTHENTICATED')
    } finally {
      await browser.close()
      await world.close()
    }
  },
)
