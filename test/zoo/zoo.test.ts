/** The gateway on real FUSE file systems: `npm run test:zoo`. ZOO=name,… selects some. */
import { animals } from './animals.ts';
import { describeZoo } from './suite.ts';

const wanted = process.env['ZOO']?.split(',');
describeZoo(animals.filter(({ name }) => wanted?.some((one) => name.includes(one)) ?? true));
