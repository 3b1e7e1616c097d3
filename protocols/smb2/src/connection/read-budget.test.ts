import { describe, expect, it } from 'vitest';
import { ReadBudget } from './read-budget.ts';

describe('read budget', () => {
  it('lets waiting reads in by their order, and a single large one always', async () => {
    const budget = new ReadBudget(100);
    expect(budget.take(1000)).toBeUndefined();
    const order: number[] = [];
    const second = budget.take(60)?.then(() => order.push(2));
    const third = budget.take(60)?.then(() => order.push(3));
    budget.give(1000);
    await second;
    expect(order).toEqual([2]);
    budget.give(60);
    await third;
    expect(order).toEqual([2, 3]);
  });
});
