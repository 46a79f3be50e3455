#include "../src/kernels.h"
#include "../src/buffer.h"
#include <cstdio>
#include <chrono>
#include <algorithm>
#include <immintrin.h>
using namespace tinywase;
namespace tinywase { namespace avx2 { extern const Kernels kernels; } namespace scalar { extern const Kernels kernels; } }
#include <time.h>
static double now(){ timespec t; clock_gettime(CLOCK_THREAD_CPUTIME_ID,&t); return t.tv_sec+1e-9*t.tv_nsec; }
template<class F> double best(F f, int reps=30){ double b=1e9; for(int i=0;i<reps;i++){ double t=now(); f(); b=std::min(b, now()-t);} return b; }
static double probe_fma(){ const int n=1000000; return best([&]{ for(int i=0;i<n;i++) { asm volatile("vfmadd231ps %%ymm12,%%ymm13,%%ymm0\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm1\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm2\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm3\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm4\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm5\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm6\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm7\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm8\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm9\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm10\n" "vfmadd231ps %%ymm12,%%ymm13,%%ymm11\n" : : : "xmm0","xmm1","xmm2","xmm3","xmm4","xmm5","xmm6","xmm7","xmm8","xmm9","xmm10","xmm11","xmm12","xmm13","xmm14","xmm15"); } }, 5)/n/96; }
static double probe_int(){ const int n=1000000; return best([&]{ for(int i=0;i<n;i++) { asm volatile("vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm0,%%ymm0\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm1,%%ymm1\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm2,%%ymm2\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm3,%%ymm3\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm4,%%ymm4\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm5,%%ymm5\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm6,%%ymm6\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm7,%%ymm7\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm8,%%ymm8\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm9,%%ymm9\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpaddw %%ymm14,%%ymm10,%%ymm10\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpaddw %%ymm15,%%ymm11,%%ymm11\n" : : : "xmm0","xmm1","xmm2","xmm3","xmm4","xmm5","xmm6","xmm7","xmm8","xmm9","xmm10","xmm11","xmm12","xmm13","xmm14","xmm15"); } }, 5)/n/384; }
static double probe_int4(){ const int n=1000000; return best([&]{ for(int i=0;i<n;i++) { asm volatile("vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm0,%%ymm0\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm1,%%ymm1\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm2,%%ymm2\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm3,%%ymm3\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm4,%%ymm4\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm5,%%ymm5\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm6,%%ymm6\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm7,%%ymm7\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm8,%%ymm8\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm9,%%ymm9\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\n" "vpmaddwd %%ymm14,%%ymm12,%%ymm14\n" "vpaddd %%ymm14,%%ymm10,%%ymm10\n" "vpmaddubsw %%ymm12,%%ymm13,%%ymm15\n" "vpmaddwd %%ymm15,%%ymm12,%%ymm15\n" "vpaddd %%ymm15,%%ymm11,%%ymm11\n" : : : "xmm0","xmm1","xmm2","xmm3","xmm4","xmm5","xmm6","xmm7","xmm8","xmm9","xmm10","xmm11","xmm12","xmm13","xmm14","xmm15"); } }, 5)/n/384; }
int main(){
  double f=probe_fma(), q=probe_int(), g=probe_int4();
  printf("probe fma %.1f GMAC/s  maddubs+paddw %.1f generic %.1f\n", 1e-9/f, 1e-9/q, 1e-9/g);
  const Kernels& k=avx2::kernels;
  struct Sh{int K,N; Epilogue kind;}; for (auto [K,N,kind]: {Sh{128,512,Epilogue::prelu_sums},Sh{512,256,Epilogue::accumulate},Sh{128,512,Epilogue::mask}}) for (int rows: {4000, 480, 48, 8, 1}) {
    Buffer<float> x(size_t(rows)*K), w(size_t(K)*N), bias(N), out(size_t(rows)*N), lat(size_t(rows)*N), sums(rows*2);
    Buffer<uint8_t> xc(size_t(rows)*K); Buffer<int8_t> wc(size_t(K)*N); Buffer<int32_t> st(N); Buffer<float> sc(N);
    for(size_t i=0;i<x.size();i++){ x[i]=(i*7919%1000)*1e-3f; xc[i]=i*7919%256; } for(size_t i=0;i<w.size();i++){ w[i]=(i*104729%1000)*1e-3f-.5f; wc[i]=int(i*104729%7)-3;}
    GemmF32 a; a.input=x.data(); a.input_stride=K; a.panels=w.data(); a.rows=rows; a.depth=K; a.columns=N;
    a.output.kind=kind; a.output.bias=bias.data(); a.output.out=out.data(); a.output.out_stride= kind==Epilogue::accumulate? 128: N; a.output.second=out.data()+rows*128; a.output.split=128; a.output.latent=lat.data(); a.output.latent_stride=N; a.output.row_sums=sums.data();
    int reps=std::max(3, 8000/rows);
    double mac=double(rows)*K*N;
    double t=best([&]{k.gemm_f32(a);}, reps);
    GemmInt8 b; b.input=xc.data(); b.input_stride=K; b.panels=wc.data(); b.start=st.data(); b.rows=rows; b.depth=K; b.columns=N; b.flush=21; b.output=a.output; b.output.scale=sc.data();
    double t2=best([&]{k.gemm_int8(b);}, reps);
    b.flush=4; double t3=best([&]{k.gemm_int8(b);}, reps);
    b.flush=0; double t4=best([&]{k.gemm_int8(b);}, reps);
    printf("%d->%d rows %d: f32 %.1f  int3bit %.1f  int5bit %.1f wide %.1f\n", K,N,rows, mac/t*1e-9, mac/t2*1e-9, mac/t3*1e-9, mac/t4*1e-9);
  }
}
