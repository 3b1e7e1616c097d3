/** Which kernels the clients of the suite run. */
import { asWish, kernels, type Kernel } from '../kit/kernels.ts';

/** FAULTS_KERNELS selects kernels by age or name, e.g. `oldest,newest`. Each of them must boot. */
export async function wantedKernels(otherwise: () => Promise<Kernel[]>): Promise<Kernel[]> {
  const wanted = process.env['FAULTS_KERNELS'] ?? '';
  if (wanted === '') return await otherwise();
  return await kernels.all(wanted.split(',').map((wish) => asWish(wish, 'FAULTS_KERNELS')));
}
