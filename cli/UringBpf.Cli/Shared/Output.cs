using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>Files that verbs write.</summary>
internal static class Output
{
    /// <summary>Writes a file, and its folder if that is missing; one that holds the same already keeps its time, for builds.</summary>
    /// <exception cref="BadInputException">It can't be written.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(content)) return;
            File.WriteAllBytes(path, content);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException(error.Message);
        }
    }
}
