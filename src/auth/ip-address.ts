import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Block = readonly [address: Address, prefixLength: number]

const V4_IN_V6_PREFIX = 96
/** More hops than any honest chain of proxies has. */
const FORWARDED_HOPS_MAX = 32

/**
 * The client's address: the peer's, unless the peer is a proxy we trust; then the last address in X-Forwarded-For that
 * is none of our proxies. Everything to the left of it was written by the client and proves nothing. Null where the
 * address can't be made out, which no allowlist admits.
 */
export function clientIp(
  remoteAddress: string | undefined,
  xForwardedFor: string | readonly string[] | undefined,
  trustedProxies: readonly string[],
): string | null {
  const peer = parseAddress(remoteAddress)
  if (peer === null) return null
  if (trustedProxies.length === 0 || !isInside(peer, trustedProxies)) return peer.toString()
  const text = typeof xForwardedFor === 'string' ? xForwardedFor : (xForwardedFor?.join(',') ?? '')
  if (text.trim() === '') return peer.toString()
  const hops = text.split(',')
  if (hops.length > FORWARDED_HOPS_MAX) return null
  let client: Address = peer
  for (const hop of hops.reverse()) {
    const address = parseAddress(withoutPort(hop.trim()))
    // What a trusted proxy reports must be an address; a list we can't read names nobody.
    if (address === null) return null
    client = address
    if (!isInside(address, trustedProxies)) break
  }
  return client.toString()
}

/** True where the peer of a connection is a proxy whose forwarded headers are believed. */
export function isTrustedProxy(remoteAddress: string | undefined, trustedProxies: readonly string[]): boolean {
  const peer = parseAddress(remoteAddress)
  return peer !== null && isInside(peer, trustedProxies)
}

/**
 * What counts as one place for limits: an IPv4 address, the /64 of an IPv6 address (one customer has all of it), and
 * one word for every address that can't be made out.
 */
export function addressBlock(ip: string | null): string {
  const address = parseAddress(ip ?? undefined)
  if (address === null) return 'unknown'
  if (address instanceof ipaddr.IPv4) return address.toString()
  return ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()
}

/**
 * Whether a key with this allowlist may be used from this address. An empty list admits every address. IPv4 addresses
 * mapped into IPv6 count as the IPv4 addresses they are, in addresses and in blocks alike.
 */
export function isAllowedFrom(allowlist: readonly string[], ip: string | null): boolean {
  if (allowlist.length === 0) return true
  const address = parseAddress(ip ?? undefined)
  return address !== null && isInside(address, allowlist)
}

/** The block in the form PostgreSQL's `cidr` takes (host bits zero), or null where the text is no address or block. */
export function canonicalCidr(text: string): string | null {
  const block = parseBlock(text)
  if (block === null) return null
  const [address, prefixLength] = block
  const network =
    address.kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${prefixLength}`)
      : ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${prefixLength}`)
  return `${network.toString()}/${prefixLength}`
}

function isInside(address: Address, blocks: readonly string[]): boolean {
  return blocks.some((text) => {
    const block = parseBlock(text)
    return block !== null && address.kind() === block[0].kind() && address.match(block as [Address, number])
  })
}

function parseAddress(text: string | undefined): Address | null {
  // ipaddr.js also reads 010.1 and 0x7f as inet_aton does; what reads differently elsewhere is refused.
  if (text === undefined || !isPlainAddress(text)) return null
  return ipaddr.process(text)
}

const isPlainAddress = (text: string): boolean =>
  ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text))

function parseBlock(text: string): Block | null {
  const slash = text.indexOf('/')
  const addressText = slash < 0 ? text : text.slice(0, slash)
  if (!isPlainAddress(addressText)) return null
  const parsed = ipaddr.parse(addressText)
  const bits = parsed.kind() === 'ipv4' ? 32 : 128
  const prefixText = slash < 0 ? String(bits) : text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(prefixText) || Number(prefixText) > bits) return null
  const prefixLength = Number(prefixText)
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && prefixLength >= V4_IN_V6_PREFIX)
    return [parsed.toIPv4Address(), prefixLength - V4_IN_V6_PREFIX]
  return [parsed, prefixLength]
}

/** Some proxies append the port: `203.0.113.9:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]+)\](?::[0-9]{1,5})?$/.exec(hop)
  if (bracketed) return bracketed[1]!
  return /^[0-9.]+:[0-9]{1,5}$/.test(hop) ? hop.slice(0, hop.indexOf(':')) : hop
}
