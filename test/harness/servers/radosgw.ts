import { execFile, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  answers,
  endProcesses,
  freePorts,
  isInstalled,
  reasonToSkip,
  startProcess,
  type RunningServer,
} from './process.js'

const execute = promisify(execFile)
const run = (command: string, args: readonly string[]): Promise<unknown> => execute(command, args, { timeout: 30_000 })

export const radosgwMissing = reasonToSkip(
  'radosgw',
  ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool'].every(isInstalled),
  'apt-get install --no-install-recommends radosgw ceph-mon ceph-osd',
)

/** Keys of the only user there. */
export const radosgwCredentials = { accessKeyId: 'hyrelog', secretAccessKey: 'hyrelog-of-the-tests' }

/** Of the storage daemon, which takes the first free ones: two clusters that look for them at once take the same. */
const BIND_PORTS = 50

const configOf = (folder: string, fsid: string, monitorPort: number, bindPort: number): string => `[global]
fsid = ${fsid}
mon host = v1:127.0.0.1:${monitorPort}
ms bind msgr2 = false
public addr = 127.0.0.1
ms bind port min = ${bindPort}
ms bind port max = ${bindPort + BIND_PORTS - 1}
auth cluster required = none
auth service required = none
auth client required = none
run dir = ${folder}
admin socket =
log file = ${folder}/log
log to stderr = false
mon cluster log file = /dev/null
mon data = ${folder}/mon
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.01
osd beacon report interval = 5
rgw override bucket index max shards = 1
rgw enable apis = s3
`

/**
 * Ceph's S3 server, with a monitor and a storage daemon that keeps all in memory: the nearest to Amazon's that Debian
 * has. It checks signatures and enforces Object Lock; it has storage classes, and no RestoreObject.
 */
export async function startRadosgw(): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'hyrelog-radosgw-'))
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    await endProcesses(children)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const [monitorPort, bindPort, port] = (await freePorts(3)) as [number, number, number]
    await startCluster(folder, monitorPort, bindPort, children)
    const config = ['-c', join(folder, 'ceph.conf')]
    const { accessKeyId, secretAccessKey } = radosgwCredentials
    const user = ['--uid', 'hyrelog', '--display-name', 'HyreLog']
    const keys = ['--access-key', accessKeyId, '--secret-key', secretAccessKey]
    await run('radosgw-admin', [...config, 'user', 'create', ...user, ...keys])
    const pool = 'default.rgw.buckets.data'
    for (const storageClass of ['DEEP_ARCHIVE', 'GLACIER']) {
      const added = ['placement', 'add', '--placement-id', 'default-placement', '--storage-class', storageClass]
      await run('radosgw-admin', [...config, 'zonegroup', ...added, '--rgw-zonegroup', 'default'])
      await run('radosgw-admin', [...config, 'zone', ...added, '--rgw-zone', 'default', '--data-pool', pool])
    }
    const frontend = ['-f', '-n', 'client.rgw', '--rgw-frontends', `beast endpoint=127.0.0.1:${port}`]
    const gateway = startProcess('radosgw', [...config, ...frontend])
    children.unshift(gateway)
    const url = `http://127.0.0.1:${port}`
    await answers(url, gateway, 'radosgw')
    return { url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startCluster(
  folder: string,
  monitorPort: number,
  bindPort: number,
  children: ChildProcess[],
): Promise<void> {
  const fsid = randomUUID()
  const osdId = randomUUID()
  const path = join(folder, 'ceph.conf')
  await writeFile(path, configOf(folder, fsid, monitorPort, bindPort))
  for (const name of ['mon', 'osd']) await mkdir(join(folder, name))
  const map = join(folder, 'monmap')
  await run('monmaptool', ['--create', '--addv', 'a', `[v1:127.0.0.1:${monitorPort}]`, '--fsid', fsid, map])
  await run('ceph-mon', ['-c', path, '--mkfs', '-i', 'a', '--monmap', map])
  children.unshift(startProcess('ceph-mon', ['-c', path, '-i', 'a', '-f']))
  await run('ceph', ['-c', path, '--connect-timeout', '30', 'osd', 'new', osdId])
  await run('ceph-osd', ['-c', path, '-i', '0', '--mkfs', '--osd-uuid', osdId])
  children.unshift(startProcess('ceph-osd', ['-c', path, '-i', '0', '-f']))
}
