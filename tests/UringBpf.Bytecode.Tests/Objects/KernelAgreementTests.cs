using System.Diagnostics;
using System.Runtime.InteropServices;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>libbpf and the running kernel as the oracle of CO-RE: bpftool loads the object, and its instructions are read back.</summary>
public sealed class KernelAgreementTests
{
    private const string Vmlinux = "/sys/kernel/btf/vmlinux";

    [Theory]
    [InlineData(14)]
    [InlineData(16)]
    [InlineData(19)]
    public void LibbpfResolvesTheSameNumbers(int clang)
    {
        Assert.SkipUnless(File.Exists(Vmlinux), "this kernel publishes no BTF");
        var expected = Numbers(LoadedByTheKernel(Corpus.PathOf("kernel", clang)));
        var probe = Corpus.Load("kernel", clang, new LoadOptions { TargetBtf = BtfSpec.Parse(File.ReadAllBytes(Vmlinux)) }).Program("probe");
        Assert.Empty(probe.Poisoned);
        Assert.Equal(expected, Numbers(probe.Instructions.AsSpan()));
        Assert.True(expected.Length > 22);
    }

    private static Instruction[] LoadedByTheKernel(string path)
    {
        var pin = $"/sys/fs/bpf/uringbpf_{Environment.ProcessId}_{Path.GetFileName(Path.GetDirectoryName(path))}";
        var dump = Path.GetTempFileName();
        try
        {
            Bpftool("prog", "load", path, pin);
            Bpftool("prog", "dump", "xlated", "pinned", pin, "file", dump);
            return MemoryMarshal.Cast<byte, Instruction>(File.ReadAllBytes(dump)).ToArray();
        }
        finally
        {
            File.Delete(dump);
            File.Delete(pin);
        }
    }

    private static void Bpftool(params string[] arguments)
    {
        const string bpftool = "/usr/sbin/bpftool";
        Assert.SkipUnless(File.Exists(bpftool), "bpftool is not installed");
        using var process = Process.Start(new ProcessStartInfo(bpftool, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.SkipWhen(process.ExitCode != 0, $"bpftool {arguments[1]}: {errors.Result}");
    }

    // The constants that the program moves into registers, in order: what CO-RE relocations give.
    private static long[] Numbers(ReadOnlySpan<Instruction> code)
    {
        var numbers = new List<long>();
        for (var slot = 0; slot < code.Length; slot++)
        {
            var row = OpcodeTable.Find(code[slot]);
            if (row is { Operation: Operation.Move, Source: OperandSource.Immediate }) numbers.Add(code[slot].Immediate);
            if (row is not { Operation: Operation.LoadImmediate64 }) continue;
            if (row.Wide == WideKind.Number) numbers.Add(code[slot].WideImmediate(code[slot + 1]));
            slot++;
        }
        return [.. numbers];
    }
}
