/** Converts the status to table rows. */
import type { ExportStatus, Status, StreamStatus } from '../admin/status.ts';
import type { Row } from './rows.ts';
import { bytes, duration, milliseconds, plural, progress } from '../admin/format.ts';

/** Runs an action at the gateway; undefined if the client may not run actions. */
export type Act = ((action: Readonly<Record<string, string>>, question?: string) => void) | undefined;

const number = (text: string) => ({ text, style: 'number' });
const path = (text: string) => ({ text, style: 'path' });
const secondsSince = (now: number, at: number) => (now - at) / 1000;

export function exportRows({ at, exports }: Status): Row[] {
  return exports.map((one) => ({
    key: one.name,
    cells: [
      one.name,
      path(one.path),
      { text: one.state, style: one.state },
      number(duration(secondsSince(at, one.history.since))),
      one.state === 'live' ? '' : one.reason,
      number(`${one.history.outages}, ${duration(one.history.awaySeconds)}`),
      number(String(one.nodes)),
      number(String(one.descriptors)),
      number(lanesText(one)),
      number(memoryText(one)),
    ],
  }));
}

function memoryText({ bytesServed, bytesFromMemory }: ExportStatus): string {
  return bytesServed === 0 ? '' : `${((100 * bytesFromMemory) / bytesServed).toFixed(0)} %`;
}

function lanesText({ lanes }: ExportStatus): string {
  const running = lanes.reduce((sum, lane) => sum + lane.running, 0);
  const hung = lanes.reduce((sum, lane) => sum + lane.hung, 0);
  return hung === 0 ? String(running) : `${running}, ${hung} hung`;
}

/** Mounts below the paths of the exports. */
export function mountRows({ exports }: Status, act: Act): Row[] {
  return exports.flatMap(({ name, mounts }) =>
    mounts.map(({ path: mount, state, reason, epoch, waiting }) => ({
      key: `${name} ${mount}`,
      cells: [
        name,
        path(mount),
        { text: state, style: state },
        state === 'live' ? '' : reason,
        number(String(epoch)),
        number(String(waiting)),
      ],
      button:
        act && state === 'down'
          ? {
              label: 'Forget',
              about: mount,
              press: () =>
                act(
                  { action: 'forget-mount', export: name, mount },
                  `Serve what lies at ${mount} of ${name}? It is for a mount that has gone for good.`,
                ),
            }
          : undefined,
    })),
  );
}

export function waitRows({ exports }: Status): Row[] {
  return exports.flatMap(({ name, waits }) =>
    waits.map(({ path: what, seconds, requests, clients }) => ({
      key: `${name} ${what}`,
      cells: [
        name,
        path(what || '/'),
        number(duration(seconds)),
        number(String(requests)),
        clients.join(', '),
      ],
    })),
  );
}

export function quarantineRows({ exports }: Status, act: Act): Row[] {
  return exports.flatMap(({ name, quarantine }) =>
    quarantine.map(({ path: what, aspect, strikes, retrySeconds, clients }) => ({
      key: `${name} ${aspect} ${what}`,
      cells: [
        name,
        path(what),
        aspect,
        number(String(strikes)),
        number(retrySeconds === 0 ? 'at the next request' : duration(retrySeconds)),
        clients.join(', '),
      ],
      button: act && {
        label: 'Try again',
        about: what,
        press: () => act({ action: 'retry', export: name, path: what, aspect }),
      },
    })),
  );
}

/** A stream is identified by export, protocol, client and path: several mounts of one client count as one reader. */
export function streamRows({ streams }: Status): Row[] {
  return streams.map((stream) => ({
    key: `${stream.export} ${stream.protocol} ${stream.client} ${stream.path}`,
    cells: [
      path(stream.path),
      stream.client,
      stream.protocol.toUpperCase(),
      number(`${bytes(stream.bytesPerSecond)}/s`),
      number(bytes(stream.bytes)),
      number(progress(stream.position, stream.size)),
      number(milliseconds(stream.firstByteMs)),
      number(milliseconds(stream.slowestMs)),
      stateOf(stream),
    ],
  }));
}

function stateOf({ running, idleSeconds, firstByteMs }: StreamStatus): string {
  if (running > 0 && idleSeconds >= 2) return `waits for ${duration(idleSeconds)}`;
  if (running > 0 || idleSeconds < 2) return firstByteMs === undefined ? 'begins' : 'reads';
  return `quiet for ${duration(idleSeconds)}`;
}

export function sessionRows({ sessions }: Status, act: Act): Row[] {
  return sessions.map((session) => ({
    key: session.id,
    cells: [
      session.client,
      session.guest ? 'guest' : session.user,
      `SMB ${session.dialect}${session.encrypted ? ', encrypted' : session.signed ? ', signed' : ''}`,
      session.exports.join(', '),
      number(plural(session.opens, 'open')),
      number(String(session.connections)),
      number(duration(session.seconds)),
    ],
    button: act && {
      label: 'End',
      about: `the session of ${session.client}`,
      press: () =>
        act(
          { action: 'end-session', id: session.id },
          `End the SMB session of ${session.client}? What it has open is closed; it may log on again.`,
        ),
    },
  }));
}

export function nfsRows({ nfsClients }: Status, act: Act): Row[] {
  return nfsClients.map(({ client, mounts, connections, calls, bytesOut, seconds }) => ({
    key: client,
    cells: [
      client,
      mounts.join(', '),
      number(String(connections)),
      number(String(calls)),
      number(bytes(bytesOut)),
      number(duration(seconds)),
    ],
    button: act && {
      label: 'End',
      about: `the connections of ${client}`,
      press: () =>
        act(
          { action: 'end-client', client },
          `End the NFS connections of ${client}? It connects again when it wants something.`,
        ),
    },
  }));
}

export function historyRows({ exports }: Status): Row[] {
  const changes = exports.flatMap(({ name, history }) =>
    history.changes.map((change) => ({ name, ...change })),
  );
  return changes
    .sort((a, b) => b.at - a.at)
    .slice(0, 30)
    .map(({ name, mount, at, state, reason, epoch }, index) => ({
      key: `${name} ${at} ${state} ${index}`,
      cells: [
        new Date(at).toLocaleString(),
        mount === undefined ? name : `${name}/${mount}`,
        { text: state, style: state },
        reason,
        number(String(epoch)),
      ],
    }));
}

/** The text of the alarm: one sentence for each source or mount that is not live; empty if all are live. */
export function notice({ at, exports }: Status): string {
  const sentences = exports.flatMap(({ name, state, history, waitingForSource, reason, mounts }) => {
    const below = mounts.filter((mount) => mount.state !== 'live');
    const waiting = waitingForSource - mounts.reduce((sum, mount) => sum + mount.waiting, 0);
    const since = duration(secondsSince(at, history.since));
    return [
      ...(state === 'live'
        ? []
        : [`${name} has been ${state} for ${since} (${reason}). ${whoWaits(waiting)}`]),
      ...below.map(
        (mount) => `${name}${mount.path} is ${mount.state} (${mount.reason}). ${whoWaits(mount.waiting)}`,
      ),
    ];
  });
  return sentences.join(' ');
}

const whoWaits = (count: number) =>
  `${plural(count, 'request')} ${count === 1 ? 'waits' : 'wait'} for it and will go on when it is back.`;
