using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;
using Xunit;

namespace UringBpf.Ring.Tests;

/// <summary>Hooks from C, verified and compiled; a ring, or the reason why there is none.</summary>
internal static class Hooks
{
    public static ObjectSpec Load(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ObjectSpec.Load(bytes, name);
    }

    public static BpfProgram Compile(string program) => Compile(Load("chains.bpf.o"), program);

    public static BpfProgram Compile(ObjectSpec spec, string program) =>
        ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program(program)), MapSet.Create(spec.Maps));

    public static Ring CreateRing(RingOptions? options = null)
    {
        try
        {
            return Ring.Create(options);
        }
        catch (BpfException refused) when (refused.Code == "UB4501")
        {
            Assert.Skip(refused.Reason);
            throw;
        }
    }

    /// <summary>On the ring's thread: an operation of its own that nobody waits for cancels all timeouts.</summary>
    public static unsafe void CancelTimeouts(Ring ring)
    {
        // IORING_ASYNC_CANCEL_ALL and _OP.
        const uint all = 1, byOperation = 32;
        var operation = ring.Operations.Take(OperationOwner.Chain);
        *ring.Reserve(operation) = new Sqe { Opcode = IoUringOp.AsyncCancel, Fd = -1, OpFlags = all | byOperation, Length = (uint)IoUringOp.Timeout, UserData = ulong.MaxValue - 1 };
        ring.Operations.Free(operation);
    }

    public static List<Emission> Emissions(HookLink link)
    {
        var found = new List<Emission>();
        while (link.TryReadEmission(out var emission)) found.Add(emission);
        return found;
    }

    public static byte[] Bytes(in UringOp op) => System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<UringOp>(in op)).ToArray();
}

/// <summary>CRC-32C, bit by bit: independent of the one the hooks call.</summary>
internal static class SlowCrc32C
{
    public static uint Compute(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var octet in bytes)
        {
            crc ^= octet;
            for (var bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78 & (0 - (crc & 1)));
        }
        return ~crc;
    }
}

/// <summary>A folder of its own for a test, removed afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("uringbpf").FullName;

    public string File(string name, byte[] content)
    {
        var path = System.IO.Path.Combine(Path, name);
        System.IO.File.WriteAllBytes(path, content);
        return path;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
