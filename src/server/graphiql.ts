import { createHash } from 'node:crypto'

/** The page and the policy under which a browser may show it. */
export interface GraphiqlPage {
  readonly html: string
  readonly contentSecurityPolicy: string
}

const scriptStart = '<script>'

/** The text of the page's one script, as a browser delimits it. */
function scriptOf(html: string): string {
  const start = html.lastIndexOf(scriptStart, html.indexOf('MonacoEnvironment')) + scriptStart.length
  return html.slice(start, html.indexOf('</script', start))
}

/**
 * GraphiQL as one page without a single address but our own: it works without the internet and tells nobody about its
 * user. Only its own script may run, and it may talk to this server alone. Nine megabytes, so made once, when first asked.
 */
export async function renderGraphiqlPage(): Promise<GraphiqlPage> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql')
  const html = renderGraphiQL({
    title: 'HyreLog',
    endpoint: '/graphql',
    defaultQuery:
      'query Newest {\n  globalEvents(first: 10) {\n    nodes { occurredAt action actor { name } workspace { name } }\n    complete\n  }\n}\n',
    // No browser sends a header beyond Latin-1: with an ellipsis not even the schema would be fetched.
    headers: '{\n  "Authorization": "Bearer hlk_..."\n}',
  })
  const scriptHash = createHash('sha256').update(scriptOf(html)).digest('base64')
  const contentSecurityPolicy = [
    "default-src 'none'",
    `script-src 'sha256-${scriptHash}' blob:`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'img-src data:',
    'font-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html, contentSecurityPolicy }
}
