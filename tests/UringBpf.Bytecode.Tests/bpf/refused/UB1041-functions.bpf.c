/* More subprograms than a program may have. */
#include "../bpf_test.h"

#define F(n) static __noinline int f##n(__u64 *p) { return *(volatile __u64 *)p + n; }
#define F10(n) F(n##0) F(n##1) F(n##2) F(n##3) F(n##4) F(n##5) F(n##6) F(n##7) F(n##8) F(n##9)
#define F100(n) F10(n##0) F10(n##1) F10(n##2) F10(n##3) F10(n##4) F10(n##5) F10(n##6) F10(n##7) F10(n##8) F10(n##9)
#define C(n) sum += f##n(ctx);
#define C10(n) C(n##0) C(n##1) C(n##2) C(n##3) C(n##4) C(n##5) C(n##6) C(n##7) C(n##8) C(n##9)
#define C100(n) C10(n##0) C10(n##1) C10(n##2) C10(n##3) C10(n##4) C10(n##5) C10(n##6) C10(n##7) C10(n##8) C10(n##9)
F100(1) F100(2) F10(30) F10(31) F10(32) F10(33) F10(34) F(350) F(351) F(352) F(353) F(354)
/* 255 subprograms and itself: the most. */
SEC("raw") int most(__u64 *ctx)
{
	int sum = 0;
	C100(1) C100(2) C10(30) C10(31) C10(32) C10(33) C10(34) C(350) C(351) C(352) C(353) C(354)
	return sum;
}
#ifndef AT_LIMIT
F(355)
SEC("raw") int program(__u64 *ctx)
{
	int sum = 0;
	C100(1) C100(2) C10(30) C10(31) C10(32) C10(33) C10(34) C(350) C(351) C(352) C(353) C(354) C(355)
	return sum;
}
#endif

char _license[] SEC("license") = "GPL";
