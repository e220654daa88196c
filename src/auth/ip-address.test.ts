import { describe, expect, it } from 'vitest'
import { canonicalCidr, clientIp, isAllowedFrom } from './ip-address.js'

describe('isAllowedFrom', () => {
  it.each([
    ['203.0.113.9', ['203.0.113.0/24'], true],
    ['203.0.114.9', ['203.0.113.0/24'], false],
    ['203.0.113.9', ['203.0.113.9'], true],
    ['203.0.113.9', ['198.51.100.0/24', '203.0.113.9/32'], true],
    ['203.0.113.9', ['0.0.0.0/0'], true],
    ['203.0.113.9', ['::/0'], false],
    ['2001:db8::1', ['2001:db8::/32'], true],
    ['2001:db9::1', ['2001:db8::/32'], false],
    ['2001:DB8:0:0::1', ['2001:db8::1/128'], true],
    ['2001:db8::1', ['0.0.0.0/0'], false],
    ['::ffff:203.0.113.9', ['203.0.113.0/24'], true],
    ['::ffff:cb00:7109', ['203.0.113.0/24'], true],
    ['203.0.113.9', ['::ffff:203.0.113.0/120'], true],
    ['203.0.114.9', ['::ffff:203.0.113.0/120'], false],
    ['not an address', ['0.0.0.0/0', '::/0'], false],
    ['3405803785', ['0.0.0.0/0'], false],
    ['0313.0.113.9', ['0.0.0.0/0'], false],
    [null, ['0.0.0.0/0', '::/0'], false],
    ['203.0.113.9', [], true],
    [null, [], true],
  ])('%s in %j: %s', (ip, allowlist, allowed) => {
    expect(isAllowedFrom(allowlist, ip)).toBe(allowed)
  })
})

describe('clientIp', () => {
  const proxies = ['10.0.0.0/8', '2001:db8:ffff::/48']
  it.each([
    ['the peer without a proxy', '203.0.113.9', undefined, proxies, '203.0.113.9'],
    ['the peer when it is no proxy of ours, whatever it forwards', '203.0.113.9', '127.0.0.1', proxies, '203.0.113.9'],
    ['the peer when no proxy is trusted', '10.1.1.1', '198.51.100.7', [], '10.1.1.1'],
    ['what a trusted proxy forwards', '10.1.1.1', '198.51.100.7', proxies, '198.51.100.7'],
    [
      'the last address before our proxies, not what the client wrote',
      '10.1.1.1',
      '127.0.0.1, 198.51.100.7, 10.2.2.2',
      proxies,
      '198.51.100.7',
    ],
    ['the first proxy when all are ours', '10.1.1.1', '10.3.3.3, 10.2.2.2', proxies, '10.3.3.3'],
    ['a mapped peer as the IPv4 address it is', '::ffff:10.1.1.1', '198.51.100.7', proxies, '198.51.100.7'],
    ['IPv6 hops', '2001:db8:ffff::1', '2001:db8::7', proxies, '2001:db8::7'],
    ['hops with ports', '10.1.1.1', '[2001:db8::7]:4711, 10.2.2.2:80', proxies, '2001:db8::7'],
    ['several headers as one list', '10.1.1.1', ['127.0.0.1', '198.51.100.7'], proxies, '198.51.100.7'],
    ['the proxy itself when it forwards nothing', '10.1.1.1', '', proxies, '10.1.1.1'],
    ['nobody where a hop is no address', '10.1.1.1', '198.51.100.7, unknown', proxies, null],
    ['nobody where a hop is no plain address', '10.1.1.1', '0x7f.1', proxies, null],
    ['nobody without a peer', undefined, '198.51.100.7', proxies, null],
  ])('is %s', (_, peer, forwarded, trusted, expected) => {
    expect(clientIp(peer, forwarded, trusted)).toBe(expected)
  })

  it('is nobody behind a list too long to be honest', () => {
    expect(
      clientIp(
        '10.1.1.1',
        Array.from({ length: 5_000 }, () => '10.2.2.2'),
        proxies,
      ),
    ).toBeNull()
  })
})

describe('canonicalCidr', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9/32'],
    ['203.0.113.9/24', '203.0.113.0/24'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['::ffff:203.0.113.9/120', '203.0.113.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['203.0.113.9/33', null],
    ['203.0.113.9/024', null],
    ['203.0.113.9/', null],
    ['203.0.113/24', null],
    ['2001:db8::/129', null],
    ['fe80::1%eth0', null],
    ['example.com', null],
    ['', null],
  ])('%s is %s', (text, expected) => {
    expect(canonicalCidr(text)).toBe(expected)
  })
})
