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

        Bind(KfuncPrototypes.IteratorNew, typeof(IteratorFunctions), nameof(IteratorFunctions.New)),
        Bind(KfuncPrototypes.IteratorNext, typeof(IteratorFunctions), nameof(IteratorFunctions.Next)),
        Bind(KfuncPrototypes.IteratorDestroy, typeof(IteratorFunctions), nameof(IteratorFunctions.Destroy)),
    ];

    /// <summary>Joins a prototype and a public method.</summary>
    public static FunctionImplementation Bind(FunctionPrototype prototype,
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicMethods)] Type type, string method) =>
        HostFunctions.Implement(prototype, type.GetMethod(method)!);
}
