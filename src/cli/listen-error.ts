/** Says which server could not listen, by which setting, and what to do about it. */
import { formatEndpoint, type Config, type Endpoint } from '../config/index.ts';

export interface ListenPlace extends Endpoint {
  readonly server: string;
  /** The setting and the flag that choose another place. */
  readonly otherwise: string;
}

function placesOf({ nfs, smb, admin }: Config): ListenPlace[] {
  const { mountListen } = nfs;
  return [
    { server: 'NFS', ...nfs.listen, otherwise: 'nfs.listen or --nfs HOST:PORT' },
    ...(mountListen ? [{ server: 'MOUNT', ...mountListen, otherwise: 'nfs.mountListen' }] : []),
    { server: 'SMB', ...smb.listen, otherwise: 'smb.listen or --smb HOST:PORT' },
    { server: 'admin', ...admin.listen, otherwise: 'admin.listen or --admin HOST:PORT' },
    { server: 'portmap', host: nfs.listen.host, port: 111, otherwise: 'nfs.portmap: false' },
  ];
}

const systemCalls = ['listen', 'bind', 'getaddrinfo'];

/** The error of listen(2) in plain words; any other error unchanged. */
export function listenError(error: unknown, config: Config): unknown {
  const {
    code = '',
    syscall = '',
    address,
    port,
    hostname,
  } = error as NodeJS.ErrnoException & Partial<Found>;
  if (!systemCalls.includes(syscall)) return error;
  const places = placesOf(config).filter((one) =>
    syscall === 'getaddrinfo' ? one.host === hostname : one.port === port,
  );
  const place = places.find(({ host }) => host === address) ?? places[0];
  return place ? new Error(explainListen(code, place), { cause: error }) : error;
}

interface Found {
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
}

/** The error code of listen(2) or getaddrinfo(3) in plain words. */
export function explainListen(code: string, place: ListenPlace): string {
  const { server, host, port, otherwise } = place;
  const start = `the ${server} server cannot listen at ${formatEndpoint(place)}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${start}: the port is in use (ss -ltnp 'sport = :${port}' shows by which program); stop that program, or choose another place by ${otherwise}`;
    case 'EACCES': {
      const example = server === 'SMB' ? 'smb.listen or --smb HOST:1445' : otherwise;
      return `${start}: ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; otherwise choose another place by ${example}`;
    }
    case 'EADDRNOTAVAIL':
      return `${start}: this machine has no address ${host}; choose another place by ${otherwise}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${start}: the name ${host} has no address; choose another place by ${otherwise}`;
    default:
      return `${start} (${code}); choose another place by ${otherwise}`;
  }
}
