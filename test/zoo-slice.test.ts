/** The part of the zoo in every test run: O_DIRECT passed on to a disk, Go's FUSE library, and rclone over a network. */
import { animals } from './zoo/animals.ts';
import { describeZoo } from './zoo/suite.ts';

const slice = ['mergerfs', 'gocryptfs', 'rclone (WebDAV)'];
describeZoo(animals.filter(({ name }) => slice.includes(name)));
