using System.Diagnostics.CodeAnalysis;
using UringBpf.Bytecode;
using static UringBpf.Bytecode.HelperPrototypes;

namespace UringBpf.Runtime;

/// <summary>The built-in functions with their code. Tail calls are not here: engines make them themselves.</summary>
internal static class BuiltInFunctions
{
    public static IEnumerable<FunctionImplementation> All() =>
    [
        Bind(MapLookup, typeof(MapOps), nameof(MapOps.Lookup)),
        Bind(MapUpdate, typeof(MapOps), nameof(MapOps.Update)),
        Bind(MapDelete, typeof(MapOps), nameof(MapOps.Delete)),
        Bind(MapPush, typeof(MapOps), nameof(MapOps.Push)),
        Bind(MapPop, typeof(MapOps), nameof(MapOps.Pop)),
        Bind(MapPeek, typeof(MapOps), nameof(MapOps.Peek)),
        Bind(MapLookupPerCpu, typeof(MapOps), nameof(MapOps.LookupPerCpu)),
        Bind(RingbufOutput, typeof(RingBufferOps), nameof(RingBufferOps.Output)),
        Bind(RingbufReserve, typeof(RingBufferOps), nameof(RingBufferOps.Reserve)),
        Bind(RingbufSubmit, typeof(RingBufferOps), nameof(RingBufferOps.Submit)),
        Bind(RingbufDiscard, typeof(RingBufferOps), nameof(RingBufferOps.Discard)),
        Bind(RingbufQuery, typeof(RingBufferOps), nameof(RingBufferOps.Query)),

        Bind(Loop, typeof(CallbackFunctions), nameof(CallbackFunctions.Loop)),
        Bind(ForEachMapElem, typeof(CallbackFunctions), nameof(CallbackFunctions.ForEachMapElement)),

        Bind(SpinLockAcquire, typeof(SystemFunctions), nameof(SystemFunctions.SpinLock)),
        Bind(SpinLockRelease, typeof(SystemFunctions), nameof(SystemFunctions.SpinUnlock)),
        Bind(KtimeGetNs, typeof(SystemFunctions), nameof(SystemFunctions.KtimeGetNs)),
        Bind(KtimeGetBootNs, typeof(SystemFunctions), nameof(SystemFunctions.KtimeGetBootNs)),
        Bind(KtimeGetCoarseNs, typeof(SystemFunctions), nameof(SystemFunctions.KtimeGetCoarseNs)),
        Bind(KtimeGetTaiNs, typeof(SystemFunctions), nameof(SystemFunctions.KtimeGetTaiNs)),
        Bind(Jiffies64, typeof(SystemFunctions), nameof(SystemFunctions.Jiffies64)),
        Bind(GetPrandomU32, typeof(SystemFunctions), nameof(SystemFunctions.GetPrandomU32)),
        Bind(GetSmpProcessorId, typeof(SystemFunctions), nameof(SystemFunctions.GetSmpProcessorId)),
        Bind(GetNumaNodeId, typeof(SystemFunctions), nameof(SystemFunctions.GetNumaNodeId)),
        Bind(GetCurrentPidTgid, typeof(SystemFunctions), nameof(SystemFunctions.GetCurrentPidTgid)),
        Bind(GetCurrentUidGid, typeof(SystemFunctions), nameof(SystemFunctions.GetCurrentUidGid)),
        Bind(GetCurrentComm, typeof(SystemFunctions), nameof(SystemFunctions.GetCurrentComm)),

        Bind(TracePrintk, typeof(TextFunctions), nameof(TextFunctions.TracePrint)),
        Bind(TraceVprintk, typeof(TextFunctions), nameof(TextFunctions.TracePrintArray)),
        Bind(Snprintf, typeof(TextFunctions), nameof(TextFunctions.Format)),
        Bind(Strtol, typeof(TextFunctions), nameof(TextFunctions.ParseSigned)),
        Bind(Strtoul, typeof(TextFunctions), nameof(TextFunctions.ParseUnsigned)),
        Bind(Strncmp, typeof(MemoryFunctions), nameof(MemoryFunctions.CompareStrings)),
        Bind(CsumDiff, typeof(MemoryFunctions), nameof(MemoryFunctions.ChecksumDifference)),
        Bind(SkbLoadBytes, typeof(MemoryFunctions), nameof(MemoryFunctions.LoadSkbBytes)),
        Bind(XdpGetBuffLen, typeof(MemoryFunctions), nameof(MemoryFunctions.PacketLength)),
        Bind(XdpLoadBytes, typeof(MemoryFunctions), nameof(MemoryFunctions.LoadXdpBytes)),
        Bind(XdpStoreBytes, typeof(MemoryFunctions), nameof(MemoryFunctions.StoreXdpBytes)),

        Bind(KfuncPrototypes.Submit, typeof(HookFunctions), nameof(HookFunctions.Submit)),
        Bind(KfuncPrototypes.Cancel, typeof(HookFunctions), nameof(HookFunctions.Cancel)),
        Bind(KfuncPrototypes.Emit, typeof(HookFunctions), nameof(HookFunctions.Emit)),
        Bind(KfuncPrototypes.Buffer, typeof(HookFunctions), nameof(HookFunctions.Buffer)),
        Bind(KfuncPrototypes.HoldBuffer, typeof(HookFunctions), nameof(HookFunctions.HoldBuffer)),
        Bind(KfuncPrototypes.Timeout, typeof(HookFunctions), nameof(HookFunctions.Timeout)),
        Bind(KfuncPrototypes.Crc32c, typeof(HookFunctions), nameof(HookFunctions.Checksum)),
        Bind(KfuncPrototypes.Crc32cUpdate, typeof(HookFunctions), nameof(HookFunctions.ChecksumUpdate)),
        Bind(KfuncPrototypes.Handover, typeof(HookFunctions), nameof(HookFunctions.Handover)),
        Bind(KfuncPrototypes.ReleaseBuffer, typeof(HookFunctions), nameof(HookFunctions.ReleaseBuffer)),
        Bind(KfuncPrototypes.Fork, typeof(HookFunctions), nameof(HookFunctions.Fork)),
        Bind(KfuncPrototypes.Join, typeof(HookFunctions), nameof(HookFunctions.Join)),
        Bind(KfuncPrototypes.CancelFile, typeof(HookFunctions), nameof(HookFunctions.CancelFile)),
        Bind(KfuncPrototypes.CancelAll, typeof(HookFunctions), nameof(HookFunctions.CancelAll)),
        Bind(KfuncPrototypes.Message, typeof(HookFunctions), nameof(HookFunctions.Message)),
        Bind(KfuncPrototypes.IteratorNew, typeof(IteratorFunctions), nameof(IteratorFunctions.New)),
        Bind(KfuncPrototypes.IteratorNext, typeof(IteratorFunctions), nameof(IteratorFunctions.Next)),
        Bind(KfuncPrototypes.IteratorDestroy, typeof(IteratorFunctions), nameof(IteratorFunctions.Destroy)),
    ];

    /// <summary>Joins a prototype and a public method.</summary>
    public static FunctionImplementation Bind(FunctionPrototype prototype,
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicMethods)] Type type, string method) =>
        HostFunctions.Implement(prototype, type.GetMethod(method)!);
}
